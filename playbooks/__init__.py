# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to a Xen host over ssh; each module also works with `fab -r playbooks`."""
