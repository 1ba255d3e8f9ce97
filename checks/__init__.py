"""The checks: one file each, named after the fault it finds. `diagnose.registry` is the only door to them."""
