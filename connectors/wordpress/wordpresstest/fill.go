package wordpresstest

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
)

// prose is text in the public domain, a paragraph a line: Austen, Brontë, Carroll, Darwin, Dickens, Doyle, Shakespeare, Shelley, Thoreau,
// Tolstoy (in Garnett's translation) and Wells.
//
//go:embed prose.txt
var prose string

// Ishmael is a paragraph that every fifth post of a filled site has, and nothing else in it.
const Ishmael = "Call me Ishmael. Some years ago, never mind how long precisely, I thought I would sail about a little and see the whale."

// Blog is what a site is filled with.
type Blog struct {
	Posts int // every fifth is a draft, every fifth has Ishmael's paragraph, every third an image
	Media int // images, with thumbnails
}

// fillStep is how many posts one request to PHP makes: a test's request may take a while, and not for ever.
const fillStep = 500

// Fill fills a site whose zone is Berlin's: posts by three authors (the site's own user, ana and ben) in three categories with tags, images,
// five pages, and twenty books of the custom type with genres. All were saved long ago, so that their versions stay.
func Fill(t testing.TB, s *Site, b Blog) {
	t.Helper()
	s.Set(t, "timezone_string", "Europe/Berlin")
	s.PHP(t, `foreach (['ana' => 'Ana Lopes', 'ben' => 'Ben Okafor'] as $login => $name) {
			(new WP_User(wp_insert_user(['user_login' => $login, 'user_pass' => 'x', 'display_name' => $name, 'user_email' => $login . '@example.test'])))->set_role('author');
		}
		foreach (['News', 'Recipes', 'Travel'] as $name) { wp_insert_term($name, 'category'); }
		foreach (['Novel', 'Poem', 'Essay'] as $name) { wp_insert_term($name, 'genre'); }`)
	fillMedia(t, s, b.Media)
	for from := 0; from < b.Posts; from += fillStep {
		s.PHP(t, fmt.Sprintf(fillPosts, literal(paragraphs(t)), literal(Ishmael), from, min(b.Posts, from+fillStep)))
	}
	s.PHP(t, fmt.Sprintf(fillOthers, literal(paragraphs(t))))
	s.SQL(t, "update wp_posts set post_modified = '2026-10-01 12:00:00', post_modified_gmt = '2026-10-01 10:00:00'")
}

func paragraphs(t testing.TB) string {
	t.Helper()
	raw, err := json.Marshal(strings.Split(strings.TrimSpace(prose), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const fillPosts = `wp_defer_term_counting(true);
	$prose = json_decode(%s); $ishmael = %s; $n = count($prose);
	$images = get_posts(['post_type' => 'attachment', 'fields' => 'ids', 'numberposts' => -1, 'orderby' => 'ID', 'order' => 'ASC']);
	$block = function ($text) { return "<!-- wp:paragraph -->\n<p>" . str_replace('&', '&amp;', $text) . "</p>\n<!-- /wp:paragraph -->\n"; };
	for ($i = %d; $i < %d; $i++) {
		$content = $block($prose[$i %% $n]) . "\n<!-- wp:acme/unknown {\"n\":$i,\"html\":\"\\u003cb\\u003e\"} /-->\n";
		for ($k = 0; $k < 1 + $i %% 5; $k++) { $content .= "\n" . $block($prose[($i * 7 + $k * 3) %% $n]); }
		if ($i %% 5 === 2) { $content .= "\n" . $block($ishmael); }
		$title = implode(' ', array_slice(explode(' ', rtrim($prose[$i %% $n], '.')), 0, 6)) . " ($i)";
		$id = wp_insert_post(wp_slash(['post_title' => $title, 'post_content' => $content, 'post_excerpt' => $prose[($i + 1) %% $n], 'post_author' => 1 + $i %% 3,
			'post_status' => $i %% 5 ? 'publish' : 'draft', 'post_date' => sprintf('2026-%%02d-%%02d 10:00:00', 1 + $i %% 9, 1 + $i %% 28), 'post_category' => [2 + $i %% 3],
			'tags_input' => ["tag " . ($i %% 12)]]));
		if ($images && $i %% 3 === 0) { set_post_thumbnail($id, $images[$i %% count($images)]); }
	}
	wp_defer_term_counting(false);`

const fillOthers = `$prose = json_decode(%s);
	for ($i = 0; $i < 5; $i++) { wp_insert_post(wp_slash(['post_type' => 'page', 'post_title' => "Page $i", 'post_content' => '<p>' . $prose[$i] . '</p>', 'post_status' => 'publish'])); }
	for ($i = 0; $i < 20; $i++) {
		$id = wp_insert_post(wp_slash(['post_type' => 'book', 'post_title' => "Book $i", 'post_content' => '<p>' . $prose[$i %% count($prose)] . '</p>', 'post_status' => 'publish', 'post_author' => 1 + $i %% 3]));
		wp_set_object_terms($id, [['Novel', 'Poem', 'Essay'][$i %% 3]], 'genre');
		update_post_meta($id, 'isbn', "978-$i");
	}`

// fillMedia makes images with their files: a picture and its thumbnail, in one of some colours.
func fillMedia(t testing.TB, s *Site, n int) {
	t.Helper()
	if n == 0 {
		return
	}
	const colours = 8
	var pictures, thumbs []string
	for i := range colours {
		pictures = append(pictures, pictureOf(t, 240, 160, i))
		thumbs = append(thumbs, pictureOf(t, 60, 60, i))
	}
	raw, err := json.Marshal(map[string][]string{"full": pictures, "thumb": thumbs})
	if err != nil {
		t.Fatal(err)
	}
	s.PHP(t, fmt.Sprintf(`$p = json_decode(%s, true); $dir = wp_upload_dir()['path'];
		for ($i = 0; $i < %d; $i++) {
			file_put_contents("$dir/picture-$i.png", base64_decode($p['full'][$i %% count($p['full'])]));
			file_put_contents("$dir/picture-$i-60x60.png", base64_decode($p['thumb'][$i %% count($p['thumb'])]));
			$id = wp_insert_attachment(['post_title' => "Picture $i", 'post_mime_type' => 'image/png', 'post_status' => 'inherit'], "$dir/picture-$i.png");
			wp_update_attachment_metadata($id, ['width' => 240, 'height' => 160, 'file' => _wp_relative_upload_path("$dir/picture-$i.png"),
				'sizes' => ['thumbnail' => ['file' => "picture-$i-60x60.png", 'width' => 60, 'height' => 60, 'mime-type' => 'image/png']]]);
			update_post_meta($id, '_wp_attachment_image_alt', "A square of colour $i");
		}`, literal(string(raw)), n))
}

// pictureOf draws a gradient and gives it as PNG in base64.
func pictureOf(t testing.TB, width, height, n int) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, color.RGBA{uint8(30 + n*25), uint8(90 + 120*x/width), uint8(220 - 130*y/height - n*8), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
