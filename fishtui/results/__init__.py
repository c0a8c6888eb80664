"""Results of trainings on disk: checkpoints, merged models and speech samples."""
