"""What people see of an analysed video, and what they make of it.

Stored results are read by time, region and track, without the whole file and without decoding;
segments are reviewed, clips are saved and exported, and cases go out as one archive.
"""
