# SPDX-License-Identifier: GPL-2.0-or-later
"""Where deterministic cells boot: a corruption is kept as a capsule."""

from __future__ import annotations

from lab.evidence.trial import TrialFolder
from lab.qemu.identity import identify
from lab.replay import capsule
from lab.trial.assignment import Assignment
from lab.trial.machine import OwnMachine
from lab.verdict.facts import TrialFacts, TrialVerdict


class ReplayableMachine(OwnMachine):
    """Its ``icount`` must be given."""

    def keep(
        self, task: Assignment, facts: TrialFacts, folder: TrialFolder, verdict: TrialVerdict
    ) -> None:
        """Make a capsule in the trial's folder, of a deterministic boot only."""
        if self.icount is None:
            return

        kernel = self.supplies.kernels[task.cell.kernel].kernel
        provenance = {"kernel": kernel.provenance}
        hypervisor = self.supplies.hypervisor(task.cell.xen)
        if hypervisor and task.cell.guest == "dom0":
            provenance["xen"] = hypervisor.provenance()
        content = capsule.Content(
            facts=facts,
            boot=self.make_boot(task),
            qemu=identify(self.supplies.qemu.path),
            console=folder.console,
            shows=verdict.reason,
            provenance=provenance,
            vmlinux=kernel.vmlinux,
        )
        capsule.write(folder.path / capsule.NAME, content)
