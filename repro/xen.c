// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xen.c - the kind of domain, from the most certain source to the least: the kernel's log
 * (it shows which of its own code paths it took), sysfs, the hypervisor's CPUID leaves.
 */
#include "xen.h"

#include "asm.h"
#include "sys.h"
#include "text.h"

struct sign {
	const char *line, *kind;
};

static void found(struct environment *environment, const char *kind, const char *how)
{
	environment->xen = kind;
	environment->xen_how = how;
}

/* The first sign that the log holds decides. */
static bool from_log(struct environment *environment, const char *log)
{
	static const struct sign signs[] = {
		/* "Booting paravirtualized kernel on ...", or without that word where the
		   configuration has no PV guests. PVH also logs "Hypervisor detected: Xen HVM". */
		{ "kernel on Xen with PVH extensions", "pvh" },
		{ "kernel on Xen PVH", "pvh" },
		{ "kernel on Xen HVM", "hvm" },
		{ "kernel on Xen", "pv" }, /* " PV" since 4.10 or so */
		{ "Hypervisor detected: Xen PVH", "pvh" },
		{ "Hypervisor detected: Xen HVM", "hvm" },
		{ "Hypervisor detected: Xen PV", "pv" },
		{ "Xen HVM callback vector", "hvm" },
	};

	for (u32 i = 0; i < LENGTH(signs); i++) {
		if (!text_find(log, signs[i].line))
			continue;
		found(environment, signs[i].kind, "dmesg");
		return true;
	}
	return false;
}

/* An old kernel as hvm guest calls itself bare hardware; a pv one never does. */
static bool boots_as_on_hardware(const char *log)
{
	return text_find(log, "paravirtualized kernel on bare hardware") != NULL;
}

static bool from_sysfs(struct environment *environment, const char *log)
{
	char type[16];

	sys_read_file("/sys/hypervisor/type", type, sizeof(type));
	if (!text_after(type, "xen"))
		return false;
	/* Reliable since Linux 4.13. */
	sys_read_file("/sys/hypervisor/guest_type", type, sizeof(type));
	if (text_after(type, "PVH"))
		found(environment, "pvh", "sysfs");
	else if (text_after(type, "PV"))
		found(environment, "pv", "sysfs");
	else if (text_after(type, "HVM"))
		found(environment, "hvm", "sysfs");
	else if (boots_as_on_hardware(log))
		found(environment, "hvm", "dmesg");
	else
		environment->xen_how = "sysfs";
	return true;
}

/* Not for PV: a PV process' plain CPUID may not show the hypervisor. */
static bool cpuid_leaf(u32 number, u32 *eax)
{
	u32 a, b, c, d;

	asm_cpuid(1, &a, &b, &c, &d);
	if (!(c >> 31))
		return false;
	asm_cpuid(0x40000000, &a, &b, &c, &d);
	if (b != 0x566e6558 || c != 0x65584d4d || d != 0x4d4d566e) /* XenVMMXenVMM */
		return false;
	asm_cpuid(0x40000000 + number, eax, &b, &c, &d);
	return true;
}

static bool decimal(const char *text, u32 *number)
{
	char digits[12];
	u32 used = 0;

	while (text[used] >= '0' && text[used] <= '9' && used < sizeof(digits) - 1) {
		digits[used] = text[used];
		used++;
	}
	digits[used] = '\0';
	return text_number(digits, 999, number);
}

static void put_version(char into[16], u32 major, u32 minor)
{
	struct record text = { .used = 0 };

	record_digits(&text, major);
	record_text(&text, ".");
	record_digits(&text, minor);
	text.text[text.used] = '\0';
	text_copy(into, text.text, 16);
}

static void read_version(struct environment *environment, const char *log)
{
	char file[16];
	u32 major, minor, eax;
	const char *line = text_find(log, "Xen version");

	sys_read_file("/sys/hypervisor/version/major", file, sizeof(file));
	if (decimal(file, &major)) {
		sys_read_file("/sys/hypervisor/version/minor", file, sizeof(file));
		if (decimal(file, &minor))
			put_version(environment->xen_version, major, minor);
	} else if (line) {
		line += sizeof("Xen version") - 1;
		while (*line == ':' || *line == ' ')
			line++;
		if (decimal(line, &major) && (line = text_find(line, ".")) &&
		    decimal(line + 1, &minor))
			put_version(environment->xen_version, major, minor);
	} else if (cpuid_leaf(1, &eax)) {
		put_version(environment->xen_version, eax >> 16, eax & 0xffff);
	}
}

static void read_dom0(struct environment *environment)
{
	char text[64];

	if (sys_getpid() == 1)
		sys_mount("xenfs", "/proc/xen");
	if (sys_read_file("/proc/xen/capabilities", text, sizeof(text)) >= 0) {
		environment->dom0 = text_find(text, "control_d") ? "1" : "0";
		return;
	}
	/* The initial domain has the nil UUID. */
	if (sys_read_file("/sys/hypervisor/uuid", text, sizeof(text)) > 0)
		environment->dom0 = text_after(text, "00000000-0000-0000-0000-000000000000") ?
					    "1" : "0";
}

void xen_read(struct environment *environment, const char *log)
{
	u32 eax;
	char text[8];

	if (!from_log(environment, log) && !from_sysfs(environment, log)) {
		if (cpuid_leaf(0, &eax)) {
			environment->xen_how = "cpuid"; /* Xen; hvm and pvh look alike */
			if (boots_as_on_hardware(log))
				environment->xen = "hvm";
		} else if (boots_as_on_hardware(log)) {
			found(environment, "none", "dmesg");
		} else if (sys_read_file("/proc/xen/capabilities", text, sizeof(text)) < 0) {
			found(environment, "none", "cpuid");
		}
	}
	if (text_equal(environment->xen, "none")) {
		environment->dom0 = "0";
		return;
	}
	read_version(environment, log);
	read_dom0(environment);
}
