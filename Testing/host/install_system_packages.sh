#!/usr/bin/env bash
# Installs what the wheels of Qt and VTK load and do not carry, on Debian 12 or Ubuntu 22.04 and later.
# The list is the one in Testing/host/system.py; a test compares the two.
#   --screen   also what a window on a real X server needs
# Exit code 1, with a sentence, where it can't.
set -euo pipefail
packages=(libegl1 libgl1 libxkbcommon0 libfontconfig1 libdbus-1-3 libglib2.0-0 libgssapi-krb5-2 fonts-dejavu-core)
if [ "${1:-}" = "--screen" ]; then
  packages+=(libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libxkbcommon-x11-0)
fi
refuse() {
  echo "install_system_packages.sh: $1; install by hand: ${missing[*]}" >&2
  exit 1
}

missing=("${packages[@]}")
command -v apt-get dpkg-query >/dev/null || refuse "this is neither Debian nor Ubuntu, whose package names these are"
missing=()
for package in "${packages[@]}"; do
  # Ubuntu 24.04 has some of them under names that end in t64; dpkg-query fails when either name is unknown.
  status=$(dpkg-query -W -f='${Status}\n' "$package" "${package}t64" 2>/dev/null || true)
  [[ $status == *"ok installed"* ]] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || refuse "this needs root, and there is no sudo"
  sudo=sudo
  [ -t 0 ] || sudo="sudo -n" # nobody is there to type a password
fi
$sudo apt-get update -qq || refuse "apt-get update failed"
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" || refuse "apt-get install failed"
