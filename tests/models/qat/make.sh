#!/bin/sh
# make.sh FOLDER: makes everything here again; the virtual environments go to FOLDER. Needs Python 3.11
# as $PYTHON (default: python3.11), 5 GB and half an hour.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
environments=$(cd "$1" && pwd)

# environment NAME REQUIREMENTS: its interpreter, made where it isn't there.
environment() {
    python=$environments/$1/bin/python
    [ -e "$environments/$1/ready" ] || {
        "${PYTHON:-python3.11}" -m venv "$environments/$1"
        "$python" -m pip install --quiet --requirement "$2"
        touch "$environments/$1/ready"
    } >&2
    echo "$python"
}

for tensorflow in 2.12 2.21; do
    python=$(environment "tf$tensorflow" "$here/requirements-tf$tensorflow.txt")
    "$python" "$here/make_qat.py" train
done
python=$(environment oracle "$here/../requirements-oracle.txt")
"$python" "$here/make_qat.py" golden
