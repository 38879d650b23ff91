"""What a GPU has to show: `scripts/gpu_check.sh` runs these modules on a machine that has one."""
