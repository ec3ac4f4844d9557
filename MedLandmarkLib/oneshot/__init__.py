"""Detectors for the user's own landmarks, taught from one annotated image or a few, and a folder of unannotated ones.

After Xu He et al., "Landmarks Are Alike Yet Distinct" (arXiv 2503.16058). Its code is not public and was not seen;
what was chosen here stands in the modules' own words: instant matching (models/matching), a joint network, one
specialist per landmark, and their fusion with adapters.
"""
