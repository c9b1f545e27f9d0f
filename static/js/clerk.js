// @ts-check
/**
 * Loads Clerk's script, from where the page's content policy allows: with its components where people sign in, else only to keep the
 * session token fresh, which lasts a minute.
 *
 * @module clerk
 */

const meta = document.querySelector('meta[name="clerk"]');
if (meta instanceof HTMLMetaElement) {
	const { frontend = '', mount = '', back = '/' } = meta.dataset;
	const script = document.createElement('script');
	script.src = `${frontend}/npm/@clerk/clerk-js@5/dist/clerk${mount ? '' : '.headless'}.browser.js`;
	script.async = true;
	script.crossOrigin = 'anonymous';
	script.dataset.clerkPublishableKey = meta.content;
	script.addEventListener('load', async () => {
		const clerk = /** @type {any} */ (window).Clerk;
		await clerk.load({ signInUrl: '/sign-in', signUpUrl: '/sign-up' });
		const place = document.getElementById('clerk');
		if (!(place instanceof HTMLDivElement)) return;
		place.replaceChildren();
		const to = { fallbackRedirectUrl: back, signInUrl: '/sign-in', signUpUrl: '/sign-up' };
		if (mount === 'sign-up') clerk.mountSignUp(place, to);
		else clerk.mountSignIn(place, to);
	});
	script.addEventListener('error', () => {
		const place = document.getElementById('clerk');
		if (place) place.textContent = 'The sign-in service cannot be reached. Try again in a moment.';
	});
	document.head.append(script);
}

export {};
