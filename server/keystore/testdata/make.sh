#!/usr/bin/env bash
# Makes the stores in this directory, with OpenSSL 3.0 and the keytool of OpenJDK 17. All passwords are
# "changeit". The keys protect nothing.
set -euo pipefail
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
days=36500 pw=changeit

# A root, an authority below it, and a server's certificate, each with a key of its own.
issue() { # name, subject, issuer, extensions
	openssl req -new -key "$tmp/$1.key" -subj "$2" |
		openssl x509 -req -CA "$tmp/$3.crt" -CAkey "$tmp/$3.key" -CAcreateserial -days $days -extfile <(echo -e "$4") -out "$tmp/$1.crt"
}
for k in root mid server other; do openssl ecparam -name prime256v1 -genkey -noout -out "$tmp/$k.key"; done
openssl genrsa -traditional -out "$tmp/rsa.key" 2048
openssl req -x509 -key "$tmp/root.key" -subj "/O=Fixtures/CN=Root" -days $days -out "$tmp/root.crt"
issue mid "/O=Fixtures/CN=Intermediate" root "basicConstraints=critical,CA:TRUE"
issue server "/O=Fixtures/CN=server" mid "subjectAltName=DNS:localhost,IP:127.0.0.1"
issue rsa "/O=Fixtures/CN=rsa" mid "subjectAltName=DNS:localhost"
openssl x509 -req -in <(openssl req -new -key "$tmp/other.key" -subj "/CN=other") -signkey "$tmp/other.key" -days $days -out "$tmp/other.crt"
openssl pkcs8 -topk8 -nocrypt -in "$tmp/server.key" -out "$tmp/server.pk8"
chain="$tmp/server.crt $tmp/mid.crt $tmp/root.crt"

# PEM
cat "$tmp/server.pk8" $chain > pkcs8.pem
cat "$tmp/server.key" $chain > sec1.pem
cat "$tmp/rsa.key" "$tmp/rsa.crt" "$tmp/mid.crt" > pkcs1.pem
cat "$tmp/root.crt" "$tmp/other.crt" "$tmp/mid.crt" "$tmp/server.crt" "$tmp/server.key" > anyorder.pem
encrypted() { openssl pkcs8 -topk8 -in "$tmp/server.key" -passout pass:$pw "${@:2}" | cat - $chain > "$1"; }
encrypted aes256.pem -v2 aes-256-cbc
encrypted aes128sha1.pem -v2 aes-128-cbc -v2prf hmacWithSHA1
encrypted des3sha512.pem -v2 des3 -v2prf hmacWithSHA512
encrypted scrypt.pem -scrypt
encrypted pbes1.pem -v1 PBE-SHA1-3DES
openssl ec -in "$tmp/server.key" -aes128 -passout pass:$pw | cat - $chain > dekinfo.pem
cat $chain > nokey.pem
cat "$tmp/other.key" $chain > otherkey.pem
cat "$tmp/server.key" "$tmp/other.key" $chain > twokeys.pem
cat "$tmp/root.crt" "$tmp/other.crt" > trust.pem

# PKCS12
p12() { openssl pkcs12 -export -inkey "$tmp/server.key" -in "$tmp/server.crt" -certfile <(cat "$tmp/mid.crt" "$tmp/root.crt") -passout pass:$pw "${@:2}" -out "$1"; }
p12 openssl.p12
p12 legacy.p12 -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1
openssl pkcs12 -export -nokeys -in "$tmp/root.crt" -passout pass:$pw -out unmarked.p12
for f in p12 jks; do
	t=${f/p12/PKCS12}
	keytool -importkeystore -srckeystore openssl.p12 -srcstorepass $pw -destkeystore keytool.$f -deststoretype $t -deststorepass $pw
	keytool -importcert -noprompt -alias root -file "$tmp/root.crt" -keystore trust.$f -storetype $t -storepass $pw
	keytool -importcert -noprompt -alias other -file "$tmp/other.crt" -keystore trust.$f -storetype $t -storepass $pw
done
cp keytool.p12 renamed.jks # what keytool writes by default, whatever the name
keytool -importkeystore -srckeystore openssl.p12 -srcstorepass $pw -destkeystore keytool.jceks -deststoretype JCEKS -deststorepass $pw
cp keytool.jks twokeys.jks
keytool -genkeypair -alias second -keyalg EC -dname CN=second -validity $days -keystore twokeys.jks -storepass $pw
cp trust.jks mixed.jks
keytool -importkeystore -srckeystore keytool.jks -srcstorepass $pw -destkeystore mixed.jks -deststorepass $pw
