#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Brings dom0 up, in the order in which a run needs it; init(8) calls it once (inittab).
# No systemd, no udev: from power-on to "xl info" counts, and emulation is slow.
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

mount -t proc proc /proc 2>/dev/null
mount -t sysfs sysfs /sys 2>/dev/null
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -o remount,rw,noatime /
mkdir -p /run/lock /run/sshd /run/xen /var/lib/lab

hostname lab-dom0
ip link set lo up
# QEMU's user network hands this address to the forwarded ssh port.
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up

# Debian's own script: xenfs, modules, xenstored, xenconsoled, and dom0's entry in the store.
/etc/init.d/xen start
echo "lab: dom0 is up"
