package jobs

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"scratchpaper/connectors/wordpress/wordpresstest"
)

// TestTheMemoryOfADownloadDoesNotGrowWithTheBlog downloads as many posts as WORDPRESS_MEMORY says, and before that a tenth of them, and
// compares what this process needed: the app's store and workers, and the test's own way to PHP. The posts are written by SQL.
func TestTheMemoryOfADownloadDoesNotGrowWithTheBlog(t *testing.T) {
	most, err := strconv.Atoi(os.Getenv("WORDPRESS_MEMORY"))
	if err != nil {
		t.Skip("WORDPRESS_MEMORY=50000 compares the memory of a download of 50,000 posts with that of 5,000")
	}
	b := newBlog(t, 10, func(s *wordpresstest.Site) *wordpresstest.Site { return s })
	var live []uint64
	for have := 10; have < most; {
		want := most
		if have == 10 {
			want = most / 10
		}
		b.write(t, want-have)
		have = want
		chosen := b.choose(t, "type/post")
		began := time.Now()
		var n int64
		heap, resident := peakOf(t, func() { n = *b.take(t, chosen).Tables[0].Counts.Records })
		if n != int64(have) {
			t.Fatalf("%d records, want %d", n, have)
		}
		t.Logf("%d posts in %s: at most %.1f MB live on the heap, %.1f MB resident", n, time.Since(began).Round(100*time.Millisecond), float64(heap)/1e6, float64(resident)/1e6)
		live = append(live, heap)
	}
	if live[1] > live[0]*3/2 {
		t.Errorf("the live heap grew from %d to %d bytes", live[0], live[1])
	}
}

// write writes posts of about 4 kB into WordPress' own table.
func (b *blog) write(t *testing.T, n int) {
	t.Helper()
	b.site.SQL(t, fmt.Sprintf(`insert into wp_posts (post_author, post_date, post_date_gmt, post_content, post_title, post_excerpt, post_status, post_name, to_ping, pinged, post_content_filtered,
			post_modified, post_modified_gmt)
		select 1, '2026-01-02 10:00:00', '2026-01-02 09:00:00', concat(seq, repeat(%s, 32)), concat('Post ', seq), '', 'publish', concat('post-', seq), '', '', '', '2026-01-02 10:00:00', '2026-01-02 09:00:00'
		from seq_1_to_%d;
		insert into wp_term_relationships (object_id, term_taxonomy_id) select id, 1 from wp_posts p where post_type = 'post' and not exists (select 1 from wp_term_relationships where object_id = p.id)`,
		wordpresstest.Quote(wordpresstest.Ishmael), n))
}

// peakOf gives the most that was live on the heap and resident while fn ran, in bytes.
func peakOf(t *testing.T, fn func()) (heap, resident uint64) {
	t.Helper()
	runtime.GC()
	stop, peak := make(chan struct{}), make(chan [2]uint64)
	go func() {
		var most [2]uint64
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			most = [2]uint64{max(most[0], sample[0].Value.Uint64()), max(most[1], residentNow())}
			select {
			case <-stop:
				peak <- most
				return
			case <-tick.C:
			}
		}
	}()
	fn()
	close(stop)
	most := <-peak
	return most[0], most[1]
}

// residentNow is what the process has in memory, in bytes; 0 where the system does not say.
func residentNow() uint64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}
