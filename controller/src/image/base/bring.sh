set -e
mkdir -p "$1/var/cache/apt/archives"
cp -al "$PACKAGES/." "$1/var/cache/apt/archives/"
chmod 755 "$1/var/cache/apt/archives"
