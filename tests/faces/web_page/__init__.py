"""The page in a real browser. A package, so that what its tests share ends with them: while Playwright runs, its loop
is the thread's, and no other test could run one.
"""
