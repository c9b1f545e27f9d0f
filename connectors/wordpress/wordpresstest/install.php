<?php
// Installs the site "root" of a fresh database.
$_SERVER['HTTP_HOST'] = parse_url(getenv('WT_URL'), PHP_URL_HOST);
define('WP_INSTALLING', true);
require getenv('WT_ROOT') . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
add_filter('pre_wp_mail', '__return_true');
wp_install('Test site', 'admin', 'admin@example.test', false, '', 'its-own-login-word', 'en_US');
global $wp_rewrite;
$wp_rewrite->set_permalink_structure('/%postname%/');
$wp_rewrite->flush_rules(false);
foreach (get_posts(['post_type' => ['post', 'page'], 'post_status' => 'any', 'numberposts' => -1]) as $p) {
	wp_delete_post($p->ID, true);
}
foreach (get_comments() as $c) {
	wp_delete_comment($c, true);
}
[$password] = WP_Application_Passwords::create_new_application_password(1, ['name' => 'test']);
file_put_contents(getenv('WT_ROOT') . '/../password', $password);
