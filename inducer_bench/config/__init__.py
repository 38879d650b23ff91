"""Configuration: Hydra composition, the schema of the whole, and checks that tell in one line what is wrong.

Nothing here imports torch when it is imported, so that bad input is refused at once; only `method.budget` given as a
percentage needs it, for the size of the PLM.
"""
