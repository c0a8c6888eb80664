"""The self-test of `fishtui doctor --model`: a checkpoint on this machine, line by line."""
