# SPDX-License-Identifier: GPL-2.0-or-later
"""The Xen FPU reproduction lab: does a kernel leak FPU registers between tasks?"""

__version__ = "0.1.0"
