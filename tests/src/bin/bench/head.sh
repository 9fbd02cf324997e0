set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
is() { [ "$(stat -c '%F %a %U %G' "$1" 2>/dev/null)" = "$2" ]; }
packages() {
    local have missing=() name
    have=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n')
    for name; do [[ $'\n'$have$'\n' == *$'\nii  '"$name"$'\n'* ]] || missing+=("$name"); done
    [ ${#missing[@]} = 0 ] && return
    [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages' -mtime -1)" ] || apt-get -qq update </dev/null
    apt-get -qq -y --no-install-recommends install "${missing[@]}" </dev/null
}
group() { getent group "$1" >/dev/null || groupadd --gid "$2" "$1"; }
user() { getent passwd "$1" >/dev/null || useradd --create-home --uid "$2" --gid "$3" --shell /bin/bash "$1"; }
dir() { is "$1" 'directory 755 root root' || install -d -m 0755 -o root -g root "$1"; }
file() {
    local content
    content=$(cat)
    if ! { is "$1" 'regular file 644 root root' && [ "$(<"$1")" = "$content" ]; }; then
        printf '%s\n' "$content" > "$1.new"
        chown root:root "$1.new"
        chmod 0644 "$1.new"
        mv "$1.new" "$1"
    fi
}
link() { [ "$(readlink "$1")" = "$2" ] || ln -sfn "$2" "$1"; }
line() { grep -qxF -- "$2" "$1" 2>/dev/null || printf '%s\n' "$2" >> "$1"; }
service() {
    if [ "$2" = on ]; then
        systemctl -q is-enabled "$1" 2>/dev/null || systemctl -q enable "$1"
        systemctl -q is-active "$1" || systemctl start "$1"
    else
        ! systemctl -q is-enabled "$1" 2>/dev/null || systemctl -q disable "$1"
        ! systemctl -q is-active "$1" || systemctl stop "$1"
    fi
}
