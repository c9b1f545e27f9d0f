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

// A plug-in that prints notices before everything else.
if (get_option('wt_notice')) {
	add_action('rest_api_init', function () {
		echo "<br />\n<b>Notice</b>:  Undefined variable: title in <b>/srv/site/wp-content/plugins/broken/broken.php</b> on line <b>7</b><br />\n";
	});
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
