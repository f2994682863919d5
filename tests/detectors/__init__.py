"""The detectors, one file for each of theirs."""
