// Package wordpresstest gives tests a real WordPress: MariaDB and PHP, started once for each test binary, and as many sites as
// tests ask for, each with a database of its own.
//
// Its folder is kept below os.TempDir() and used again by later runs. The processes end with the test binary that started them,
// also when that is killed.
package wordpresstest

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"scratchpaper/internal/freeport"
)

const (
	// Packages are the Debian packages that this needs.
	Packages = "php-cli php-mysql php-xml php-mbstring php-curl mariadb-server wordpress"

	maxServers = 16              // test binaries at once
	workers    = 3               // PHP processes; each answers one request at a time
	startLimit = 3 * time.Minute // a busy machine takes its time
)

var (
	//go:embed router.php
	routerPHP []byte
	//go:embed wp-config.php
	configPHP []byte
	//go:embed mu-plugin.php
	pluginPHP []byte
	//go:embed install.php
	installPHP []byte
)

// wordpress is where the Debian package puts it; WORDPRESS_DIR says otherwise.
func wordpress() string {
	if dir := os.Getenv("WORDPRESS_DIR"); dir != "" {
		return dir
	}
	return "/usr/share/wordpress"
}

// shared is the binary's own server: starting one for each test would take most of their time.
var shared = sync.OnceValues(start)

// account is whom the servers run as when the tests run as root.
type account struct{ uid, gid uint32 }

type server struct {
	dir, url, secret string
	as               *account
	lock             *os.File // held as long as the binary lives
	idle             chan string
	sites, types     atomic.Int64
}

// start takes the first folder that no other test binary uses, empties it and fills it.
func start() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for _, program := range []string{"php", "mariadbd", "mariadb", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is needed (apt-get install --no-install-recommends %s)", program, Packages)
		}
	}
	s := &server{secret: rand.Text(), idle: make(chan string, workers)}
	if err := s.takeFolder(); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{s.startDatabase, s.copyWordPress, s.listen, s.install, s.startPHP} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *server) takeFolder() error {
	root := filepath.Join(os.TempDir(), fmt.Sprintf("scratchpaper-test-%d-wordpress", os.Geteuid()))
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for n := range maxServers {
		lock, err := os.OpenFile(filepath.Join(root, fmt.Sprintf("%d.lock", n)), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			lock.Close()
			continue
		}
		s.lock, s.dir = lock, filepath.Join(root, strconv.Itoa(n))
		return s.emptyFolder()
	}
	return errors.New("all folders below " + root + " are in use")
}

func (s *server) emptyFolder() error {
	for _, dir := range []string{"db", "www", "tmp"} { // what PHP has compiled stays
		if err := os.RemoveAll(filepath.Join(s.dir, dir)); err != nil {
			return err
		}
	}
	if os.Geteuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		s.as = &account{uint32(uid), uint32(gid)}
	}
	for _, dir := range []string{"", "db", "www", "www/wp-content", "www/wp-content/mu-plugins", "www/wp-content/uploads", "tmp", "opcache"} {
		if err := s.own(os.Mkdir, filepath.Join(s.dir, dir)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// own makes something that belongs to whom the servers run as.
func (s *server) own(makeIt func(string, os.FileMode) error, path string) error {
	if err := makeIt(path, 0o755); err != nil || s.as == nil {
		return err
	}
	return os.Chown(path, int(s.as.uid), int(s.as.gid))
}

func (s *server) socket() string { return filepath.Join(s.dir, "db", "s.sock") }

// command is a program that runs as the servers do, with nothing of the test's environment.
func (s *server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, attributes(s.as)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + s.dir, "TMPDIR=" + filepath.Join(s.dir, "tmp"), "LC_ALL=C",
		"WT_SOCKET=" + s.socket(), "WT_SECRET=" + s.secret, "WT_URL=" + s.url, "WT_ROOT=" + filepath.Join(s.dir, "www")}
	return cmd
}

func (s *server) run(ctx context.Context, name string, args ...string) error {
	return onThread(func() error {
		out, err := s.command(ctx, name, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, tail(out))
		}
		return nil
	})
}

// onThread keeps a child's parent thread alive: a child that is to die with its parent dies with the thread that started it.
func onThread(fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return fn()
}

// daemon starts a program that runs as long as the test binary does.
func (s *server) daemon(log, name string, args ...string) error {
	f, err := os.Create(filepath.Join(s.dir, log))
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := s.command(context.Background(), name, args...)
	cmd.Stdout, cmd.Stderr = f, f
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never let go
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return <-started
}

func (s *server) startDatabase(ctx context.Context) error {
	data := filepath.Join(s.dir, "db")
	if err := s.run(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+data, "--skip-test-db", "--auth-root-authentication-method=normal"); err != nil {
		return err
	}
	err := s.daemon("db.log", "mariadbd", "--no-defaults", "--datadir="+data, "--socket="+s.socket(), "--skip-networking", "--pid-file="+filepath.Join(s.dir, "db.pid"),
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--performance-schema=OFF", "--skip-log-bin")
	if err != nil {
		return err
	}
	return s.until(ctx, "db.log", func() error {
		c, err := net.Dial("unix", s.socket())
		if err == nil {
			c.Close()
		}
		return err
	})
}

// until tries until it works or time is up; then it quotes the log.
func (s *server) until(ctx context.Context, log string, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			words, _ := os.ReadFile(filepath.Join(s.dir, log))
			return fmt.Errorf("%s: %w: %s", log, err, tail(words))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func tail(b []byte) string {
	b = bytes.TrimSpace(b)
	return string(b[max(0, len(b)-1000):])
}

// copyWordPress makes the site's folder. What finds its neighbours by its own place is copied, the large rest linked.
func (s *server) copyWordPress(ctx context.Context) error {
	from, www := wordpress(), filepath.Join(s.dir, "www")
	if _, err := os.Stat(filepath.Join(from, "wp-load.php")); err != nil {
		return fmt.Errorf("WordPress is not in %s (apt-get install --no-install-recommends %s)", from, Packages)
	}
	if err := s.run(ctx, "sh", "-c", `cp -L "$1"/*.php "$2" && cp -rL "$1/wp-admin" "$2" && ln -s "$1/wp-includes" "$2/wp-includes"`, "sh", from, www); err != nil {
		return err
	}
	for path, content := range map[string][]byte{"www/wp-config.php": configPHP, "www/wp-content/mu-plugins/test.php": pluginPHP, "router.php": routerPHP, "install.php": installPHP} {
		if err := os.RemoveAll(filepath.Join(s.dir, path)); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, path), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// listen opens the address of all sites: it hands each request to a PHP process that has nothing else to do.
func (s *server) listen(context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + l.Addr().String()
	go func() { _ = http.Serve(l, s) }()
	return nil
}

// ServeHTTP passes a request on.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	backend := <-s.idle
	defer func() { s.idle <- backend }()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", backend, r.In.Host
		},
		Transport: s.transport(),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	// What PHP has begun it ends, also when nobody waits for the answer any more: so do web servers.
	proxy.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
}

func (s *server) transport() http.RoundTripper { return &http.Transport{DisableKeepAlives: true} }

func (s *server) install(ctx context.Context) error {
	if _, err := s.sql(ctx, "", "create database wp_root character set utf8mb4"); err != nil {
		return err
	}
	return s.run(ctx, "php", append(s.phpOptions(), filepath.Join(s.dir, "install.php"))...)
}

func (s *server) phpOptions() []string {
	return []string{"-d", "opcache.enable_cli=1", "-d", "opcache.file_cache=" + filepath.Join(s.dir, "opcache"), "-d", "date.timezone=UTC", "-d", "display_errors=0", "-d", "memory_limit=256M"}
}

func (s *server) startPHP(ctx context.Context) error {
	for n := range workers {
		port, err := freeport.Find()
		if err != nil {
			return err
		}
		address := freeport.Address(port)
		log := fmt.Sprintf("php%d.log", n)
		if err := s.daemon(log, "php", append(s.phpOptions(), "-S", address, "-t", filepath.Join(s.dir, "www"), filepath.Join(s.dir, "router.php"))...); err != nil {
			return err
		}
		err = s.until(ctx, log, func() error {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err != nil {
			return err
		}
		s.idle <- address
	}
	return nil
}

// sql runs statements and gives the lines of the answer, fields separated by tabs.
func (s *server) sql(ctx context.Context, database, statements string) ([]string, error) {
	args := []string{"--no-defaults", "-uroot", "-S", s.socket(), "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4"}
	if database != "" {
		args = append(args, database)
	}
	var out, words bytes.Buffer
	err := onThread(func() error {
		cmd := s.command(ctx, "mariadb", args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(statements), &out, &words
		return cmd.Run()
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, tail(words.Bytes()))
	}
	if out.Len() == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), nil
}

// php runs code inside a site, as its administrator, and gives what it prints.
func (s *server) php(ctx context.Context, site, code string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, site+"/", strings.NewReader(code))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Wordpresstest", s.secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the site answered %s: %s", res.Status, tail(out))
	}
	return string(out), err
}
