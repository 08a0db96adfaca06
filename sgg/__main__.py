"""`python -m sgg` is `sgg`."""

from sgg.main import main

main()
