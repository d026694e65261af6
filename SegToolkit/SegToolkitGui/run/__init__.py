"""What runs of all modules have in common: pieces between which Qt turns, one run at a time, the way back."""
