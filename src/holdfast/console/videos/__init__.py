"""Pages of videos and cases: lists, the player with what was seen, uploads, reviews, clips."""
