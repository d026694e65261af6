import sys
from pathlib import Path

from host import contract

violations = [
    v for folder in sys.argv[1:] for v in contract.checkFolder(Path(folder))
] + contract.checkStandIns()
print(*violations, sep="\n")
sys.exit(1 if violations else 0)
