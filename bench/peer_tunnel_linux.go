package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tunnel is a hose between two network namespaces: a TUN device in each, and IP
// packets that are passed between them late, slowly, or not at all. The kernels'
// TCP lives with it as with any bad link. It does what tc netem would, which many
// kernels lack, and counts every packet.
type tunnel struct {
	shape
	names [2]string // of the namespaces
	spots [2]int    // open handles of them
	tuns  [2]*os.File
	work  sync.WaitGroup

	mu   sync.Mutex
	seen traffic
	rnd  *rand.Rand
}

// The link's addresses (RFC 2544 keeps them for benchmarks), and its bounds.
const (
	tunnelNet   = "198.18.0."
	tunnelPort  = "8080"
	maxPacket   = 1500
	maxStanding = 96 << 10 // bytes that wait before the link: a modem's buffer of 3 s at 256 kbit/s
)

func newTunnel(s shape) (_ hose, err error) {
	t := &tunnel{shape: s, rnd: rand.New(rand.NewPCG(17, 1)), spots: [2]int{-1, -1}}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	for side := range t.names {
		if err := t.end(side); err != nil {
			return nil, err
		}
	}
	for side := range t.tuns {
		t.carry(side)
	}
	return t, nil
}

// end makes one end: a namespace with a TUN device in it.
func (t *tunnel) end(side int) error {
	name := fmt.Sprintf("kb%d%c", os.Getpid(), 'a'+side)
	if err := ip("netns", "add", name); err != nil {
		return err
	}
	t.names[side] = name
	var err error
	if t.spots[side], err = unix.Open("/run/netns/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("namespace: %w", err)
	}
	if t.tuns[side], err = openTun(name); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"link", "set", name, "netns", name},
		{"-n", name, "addr", "add", tunnelNet + fmt.Sprint(1+side), "peer", tunnelNet + fmt.Sprint(2-side), "dev", name},
		{"-n", name, "link", "set", name, "mtu", fmt.Sprint(maxPacket), "up"},
		{"-n", name, "link", "set", "lo", "up"},
		// The usual TCP, whatever this machine prefers.
		{"-n", name, "route", "replace", tunnelNet + fmt.Sprint(2-side), "dev", name, "congctl", "cubic"},
		{"netns", "exec", name, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func openTun(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// packet is one on its way.
type packet struct {
	data []byte
	due  time.Time
}

// carry takes the packets of one side to the other.
func (t *tunnel) carry(side int) {
	way := make(chan packet, 1<<12)
	t.work.Go(func() {
		defer close(way)
		free := time.Now() // when the link can take the next packet
		for {
			b := make([]byte, maxPacket)
			n, err := t.tuns[side].Read(b)
			if err != nil {
				return
			}
			now := time.Now()
			if free.Before(now) {
				free = now
			}
			full := t.rate > 0 && free.Sub(now).Seconds()*t.rate > maxStanding
			if !full && t.rate > 0 {
				free = free.Add(time.Duration(float64(n) / t.rate * float64(time.Second)))
			}
			if !t.count(side, b[:n]) && !full {
				way <- packet{b[:n], free.Add(t.delay)}
			}
		}
	})
	t.work.Go(func() {
		for p := range way {
			time.Sleep(time.Until(p.due))
			t.tuns[1-side].Write(p.data)
		}
	})
}

// count counts a packet and draws whether it is lost.
func (t *tunnel) count(side int, b []byte) (lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.bytes[side] += int64(len(b))
	t.seen.payload[side] += int64(payload(b))
	if lost = t.rnd.Float64() < t.loss; lost {
		t.seen.lost++
	}
	return lost
}

// payload is how many bytes of an IPv4 packet TCP carries for its user.
func payload(b []byte) int {
	const tcp = 6
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != tcp {
		return 0
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total > len(b) || len(b) < head+20 {
		return 0
	}
	return total - head - int(b[head+12]>>4)*4
}

func (t *tunnel) command(side int, binary string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", t.names[side], binary}, args...)...)
}

func (t *tunnel) listen(int) string { return "0.0.0.0:" + tunnelPort }
func (t *tunnel) peerURL() string   { return "http://" + tunnelNet + "2:" + tunnelPort }

// control connects from inside of the namespace, over its loopback.
func (t *tunnel) control(side int) dialer {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		type made struct {
			c   net.Conn
			err error
		}
		out := make(chan made, 1)
		go func() {
			runtime.LockOSThread() // for good: the thread is in another namespace and ends here
			if err := unix.Setns(t.spots[side], unix.CLONE_NEWNET); err != nil {
				out <- made{nil, err}
				return
			}
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp4", "127.0.0.1:"+tunnelPort)
			out <- made{c, err}
		}()
		m := <-out
		return m.c, m.err
	}
}

func (t *tunnel) traffic() traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen
}

func (t *tunnel) what() string {
	return "a TUN device in each of two network namespaces, IP packets passed between them in user space (in place of tc netem, which not every kernel has), TCP cubic, a buffer of 96 KiB; TCP and IP headers are counted"
}

func (t *tunnel) close() {
	for _, f := range t.tuns {
		if f != nil {
			f.Close()
		}
	}
	t.work.Wait()
	for side, name := range t.names {
		if t.spots[side] >= 0 {
			unix.Close(t.spots[side])
		}
		if name != "" {
			ip("netns", "del", name)
		}
	}
}
