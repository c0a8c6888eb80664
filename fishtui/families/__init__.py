"""The model families that fishtui can fine-tune: one subpackage per family, and the interface that they share."""
