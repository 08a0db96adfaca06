"""The bytecode of a folder of code is not counted, and can be forgotten."""

import compileall
import subprocess
import sys
from py_compile import PycInvalidationMode

from sgg.runs.code_digest import code_digest, forget_bytecode


def test_bytecode_that_nobody_has_signed_is_forgotten(tmp_path):
    """Python would run it instead of the source that it claims to be of."""
    source = tmp_path / "code" / "told.py"
    source.parent.mkdir()
    source.write_text("print('other')\n")
    compileall.compile_dir(
        str(source.parent), quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )
    source.write_text("print('mine')\n")
    command = [sys.executable, "-c", "import told"]
    run = lambda: subprocess.run(command, cwd=source.parent, capture_output=True, text=True)  # noqa: E731
    digest = code_digest(source.parent)
    assert run().stdout == "other\n"
    forget_bytecode(source.parent)
    assert code_digest(source.parent) == digest
    assert run().stdout == "mine\n"


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert code_digest(tmp_path / "no") == code_digest(tmp_path)
    forget_bytecode(tmp_path / "no")
