"""Configuration: Hydra composition, the schema of the whole, and checks that answer bad input in one line.

Importing this room does not import torch, so bad input is answered at once. Only `method.budget` as a percentage loads
it, to count the parameters of the PLM.
"""
