// Command oidcop is a real OpenID Connect provider for tests: the example provider of github.com/zitadel/oidc on a free loopback port. It has a
// module of its own, so that the app does not depend on it.
//
// usage: oidcop REDIRECT_URI[,REDIRECT_URI]
//
// It prints its issuer, and has a confidential client "web" with the secret "secret" and the person test-user@localhost with the password
// verysecure.
package main

import (
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := fmt.Sprintf("http://localhost:%d/", listener.Addr().(*net.TCPAddr).Port)
	storage.RegisterClients(storage.WebClient("web", "secret", strings.Split(os.Args[1], ",")...))
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server := &http.Server{Handler: exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), quiet, false), ReadHeaderTimeout: 10 * time.Second}
	fmt.Println(issuer)
	log.Fatal(server.Serve(listener))
}
