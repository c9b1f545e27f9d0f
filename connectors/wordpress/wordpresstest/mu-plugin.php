<?php
// What tests need of a site: types of its own, ways to misbehave (options that begin with wt_), and a door for the test's own PHP.

add_action('init', function () {
	register_taxonomy('genre', 'book', ['label' => 'Genres', 'show_in_rest' => true, 'rest_base' => 'genres', 'hierarchical' => false]);
	$supports = ['title', 'editor', 'excerpt', 'author', 'thumbnail', 'custom-fields', 'page-attributes', 'revisions'];
	register_post_type('book', ['label' => 'Books', 'public' => true, 'show_in_rest' => true, 'rest_base' => 'books', 'supports' => $supports, 'taxonomies' => ['genre']]);
	$more = get_option('wt_types') ? explode(',', get_option('wt_types')) : []; // types that a test asked for
	foreach ($more as $name) {
		register_post_type($name, ['label' => $name, 'public' => true, 'show_in_rest' => true, 'supports' => $supports, 'taxonomies' => ['genre']]);
	}
	foreach (array_merge(['book'], $more) as $of) {
		foreach (['isbn' => 'string', 'pages' => 'integer', 'price' => 'number', 'in_print' => 'boolean'] as $key => $type) {
			register_post_meta($of, $key, ['type' => $type, 'single' => true, 'show_in_rest' => true]);
		}
		register_post_meta($of, 'editions', ['type' => 'integer', 'single' => false, 'show_in_rest' => true]);
		register_post_meta($of, 'size', ['type' => 'object', 'single' => true, 'show_in_rest' => ['schema' => [
			'type' => 'object', 'properties' => ['width' => ['type' => 'number'], 'height' => ['type' => 'number']], 'additionalProperties' => false]]]);
	}
});

// Custom fields as the documentation of ACF says: those of a group stand in the schema of the type and in the object acf of each record,
// which is an empty list where there is none. It keeps the names of the fields that came with each write.
if (get_option('wt_acf')) {
	add_action('rest_api_init', function () {
		$fields = [
			'subtitle' => ['type' => ['string', 'null'], 'required' => false],
			'code' => ['type' => ['string', 'null'], 'required' => true],
			'rating' => ['type' => ['number', 'null'], 'required' => false],
			'hero' => ['type' => ['integer', 'null'], 'required' => false],
			'promoted' => ['type' => ['boolean', 'null'], 'required' => false],
			'mood' => ['type' => ['string', 'null'], 'required' => false, 'enum' => ['calm', 'bright', null]],
			'shelf' => ['type' => ['string', 'array', 'int', 'null'], 'required' => false, 'maxItems' => 1, 'items' => ['type' => ['string', 'int'], 'enum' => ['upper', 'lower']]],
			'launch' => ['type' => ['string', 'null'], 'description' => 'A `Ymd` formatted date string.', 'required' => false],
			'site' => ['type' => ['string', 'null'], 'format' => 'uri', 'required' => false],
			'related' => ['type' => ['array', 'null'], 'items' => ['type' => 'integer'], 'required' => false],
		];
		foreach (['book' => $fields, 'post' => []] as $type => $of) {
			register_rest_field($type, 'acf', [
				'schema' => ['description' => 'Advanced Custom Fields data', 'type' => 'object', 'context' => ['view', 'edit', 'embed'], 'properties' => $of],
				'get_callback' => function ($post) use ($of) {
					$out = [];
					foreach (array_keys($of) as $name) { $out[$name] = json_decode(get_post_meta($post['id'], "acf_$name", true) ?: 'null'); }
					return $out;
				},
				'update_callback' => function ($values, $post) use ($of) {
					foreach ((array) $values as $name => $value) {
						if (isset($of[$name])) { update_post_meta($post->ID, "acf_$name", wp_slash(json_encode($value))); }
					}
					add_post_meta($post->ID, 'acf_came', implode(' ', array_keys((array) $values)) . (strpos($_SERVER['REQUEST_URI'], 'batch') ? ' in a batch' : ''));
					return true;
				},
			]);
		}
	});
}

// A plug-in that prints notices before everything else.
if (get_option('wt_notice')) {
	add_action('rest_api_init', function () {
		echo "<br />\n<b>Notice</b>:  Undefined variable: title in <b>/srv/site/wp-content/plugins/broken/broken.php</b> on line <b>7</b><br />\n";
	});
}

// Files that lie at another address than the site, as at a content network.
if (get_option('wt_files')) {
	add_filter('wp_get_attachment_url', function ($url) { return preg_replace('~^https?://[^/]+~', get_option('wt_files'), $url); });
}

// A web server that drops the Authorization header.
if (get_option('wt_strip')) {
	unset($_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW'], $_SERVER['HTTP_AUTHORIZATION']);
}

// A security plug-in that has switched application passwords off.
if (get_option('wt_no_passwords')) {
	add_filter('wp_is_application_passwords_available', '__return_false');
}

// An older interface that is switched off.
if (get_option('wt_no_xmlrpc') && strpos($_SERVER['REQUEST_URI'] ?? '', 'xmlrpc.php') !== false) {
	http_response_code(405);
	exit('<h1>Not here</h1>');
}

// A firewall's page.
if (get_option('wt_firewall') && preg_match('~wp-json|rest_route~', $_SERVER['REQUEST_URI'] ?? '')) {
	http_response_code((int) get_option('wt_firewall'));
	header('Content-Type: text/html');
	exit('<!DOCTYPE html><title>Checking your browser</title><h1>One moment</h1>');
}

if (WT_SECRET && hash_equals(WT_SECRET, $_SERVER['HTTP_X_WORDPRESSTEST'] ?? '')) {
	add_action('wp_loaded', function () {
		require_once ABSPATH . 'wp-admin/includes/admin.php';
		wp_set_current_user(1);
		eval(file_get_contents('php://input'));
		exit;
	});
}
