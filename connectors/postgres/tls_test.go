package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"scratchpaper/connectors"
)

func TestCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	cert, ca := certificateFor(t, "127.0.0.1")
	_, stranger := certificateFor(t, "127.0.0.1")
	elsewhere, elsewhereCA := certificateFor(t, "192.0.2.1")
	cases := []struct {
		name     string
		cert     tls.Certificate
		mode, ca string
		works    bool
	}{
		{"verify-full with its authority", cert, "verify-full", ca, true},
		{"verify-full without it", cert, "verify-full", "", false},
		{"verify-full with another authority", cert, "verify-full", stranger, false},
		{"verify-full with another name", elsewhere, "verify-full", elsewhereCA, false},
		{"require takes any certificate", cert, "require", "", true},
		{"require with an authority takes another name", elsewhere, "require", elsewhereCA, true},
		{"require with another authority", cert, "require", stranger, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			settings := connectors.Settings{}
			for k, v := range d.settings {
				settings[k] = v
			}
			settings["port"] = encrypted(t, net.JoinHostPort(d.settings["host"], d.settings["port"]), c.cert)
			settings["sslmode"], settings["ca"] = c.mode, c.ca
			if err := d.open(settings).Test(t.Context()); (err == nil) != c.works {
				t.Errorf("the test says %v", err)
			}
		})
	}
}

// encrypted puts TLS in front of a server, as PostgreSQL starts it, and gives the port.
func encrypted(t *testing.T, server string, cert tls.Certificate) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forward(c, server, cert)
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func forward(c net.Conn, server string, cert tls.Certificate) {
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, 8)); err != nil { // SSLRequest
		return
	}
	if _, err := c.Write([]byte("S")); err != nil {
		return
	}
	to, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer to.Close()
	secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	go func() {
		_, _ = io.Copy(to, secure)
		_ = to.Close()
	}()
	_, _ = io.Copy(secure, to)
}

// certificateFor makes a certificate for an address that is its own authority.
func certificateFor(t *testing.T, address string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
