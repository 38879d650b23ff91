"""The committed tables and figures under `results/`; `make results` regenerates them."""
