"""What is done to a Xen host over ssh; each module also works with `fab -r playbooks`."""
