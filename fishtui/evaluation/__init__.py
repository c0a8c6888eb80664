"""The evaluation of a training: lines to speak, records of what was spoken, statistics, verdict, report, comparison."""
