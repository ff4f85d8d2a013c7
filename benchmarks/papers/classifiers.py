"""Text classifiers: MR, TREC, Subj, SST-2, IMDB."""
