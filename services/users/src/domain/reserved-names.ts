/** Names that customers would take for the shop's own. */
const reserved = [
  ...["admin", "admins", "administrator", "administrators", "administration", "root", "superuser", "sysadmin", "sysop"],
  ...["owner", "operator", "moderator", "moderators", "mod", "mods", "staff", "team", "official", "system", "service"],
  ...["support", "help", "helpdesk", "info", "contact", "security", "abuse", "postmaster", "webmaster", "hostmaster"],
  ...["noreply", "mailer-daemon", "shop", "store", "billing", "payments"],
  ...["anonymous", "nobody", "guest", "null", "undefined", "everyone", "platform"],
];

/** Maps letters and digits that look alike to one letter. */
const lookAlikes: readonly (readonly [RegExp, string])[] = [
  [/[._-]/g, ""],
  [/rn/g, "m"],
  [/vv/g, "w"],
  [/[i1]/g, "l"],
  [/cl/g, "d"],
  [/0/g, "o"],
  [/3/g, "e"],
  [/4/g, "a"],
  [/5/g, "s"],
  [/7/g, "t"],
  [/8/g, "b"],
  [/9/g, "g"],
];

function skeletonOf(username: string): string {
  return lookAlikes.reduce((text, [from, to]) => text.replace(from, to), username.toLowerCase());
}

/** The form of an account's id, which would make a name look like another account. */
const userId = /^user_[\da-z]{26}$/i;

const skeletons = new Set(reserved.map(skeletonOf));

/**
 * Whether a username is or looks like a reserved name, or several in a row (admin-shop), ignoring case, separators, digits in place of
 * letters, and numbers before or after it; or has the form of an account's id. A reserved word beside another word (jack.root,
 * the-shopper) is allowed. Usernames are ASCII, so letters of other scripts don't occur.
 *
 * @param others further reserved names, such as those of the services and of the first administrator
 */
export function isReservedName(username: string, others: readonly string[]): boolean {
  if (userId.test(username)) return true;
  const words = [...skeletons, ...others.map(skeletonOf)];
  const start = username.replace(/[\d._-]+$/, "");
  return [username, start, ...[username, start].map((name) => name.replace(/^[\d._-]+/, ""))].some((name) =>
    isMadeOf(skeletonOf(name), words),
  );
}

/** Whether a text is a concatenation of one or several of the words. */
function isMadeOf(text: string, words: readonly string[]): boolean {
  return words.some((word) => text === word || (text.startsWith(word) && isMadeOf(text.slice(word.length), words)));
}
