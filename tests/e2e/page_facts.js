/* SPDX-License-Identifier: Apache-2.0 */
/* page_facts: run in a page by test_browser.py; what is wrong with it, as a list of sentences. */
'use strict';
var width = arguments[0], wrong = [];

function name(e) {
  return '<' + e.tagName.toLowerCase() + (e.className.baseVal || e.className ? ' class=' + e.getAttribute('class') : '') +
         '> ' + (e.textContent || e.value || '').trim().slice(0, 40);
}

/* ---- structure ---- */

function count(css, n) {
  var found = document.querySelectorAll(css).length;
  if (found !== n) wrong.push('there are ' + found + ' of ' + css + ', not ' + n);
}

function each(css, good, what) {
  document.querySelectorAll(css).forEach(function (e) { if (!good(e)) wrong.push(name(e) + ': ' + what); });
}

function structure() {
  if (document.documentElement.lang !== 'en') wrong.push('no language');
  if (!document.title) wrong.push('no title');
  ['h1', 'header', 'main', 'footer', 'nav[aria-label]', 'nav a[aria-current=page]', 'a.skip[href="#main"]'].forEach(
    function (css) { count(css, 1); });
  each('th', function (e) { return /^(col|row)$/.test(e.scope); }, 'a header without scope');
  each('table', function (e) { return e.querySelector('th'); }, 'a table without headers');
  each('input:not([type=hidden]), select, textarea', function (e) {
    return (e.labels.length && e.labels[0].textContent.trim()) || e.getAttribute('aria-label');
  }, 'a field without a label');
  each('a[href], button, summary', function (e) { return e.textContent.trim() || e.getAttribute('aria-label'); },
       'nothing to read');
  each('[id]', function (e) { return document.querySelectorAll('#' + CSS.escape(e.id)).length === 1; }, 'an id twice');
  each('[data-live]', function (e) { return e.id; }, 'kept fresh but has no id');
  each('svg[role=img]', function (e) { return e.getAttribute('aria-label'); }, 'a picture without words');
  each('script', function (e) { return e.src.indexOf(location.origin + '/') === 0 && !e.textContent; }, 'a script');
  each('img, iframe, object, embed, style, [style], [onclick], [onerror], [onload]', function () { return false; },
       'should not be here');
}

/* ---- contrast ---- */

function colour(text) {
  var part = text.match(/[\d.]+/g).map(Number);
  return { rgb: part.slice(0, 3), alpha: part.length > 3 ? part[3] : 1 };
}

function over(front, back) {
  return back.map(function (b, i) { return front.rgb[i] * front.alpha + b * (1 - front.alpha); });
}

/* What lies behind an element: the backgrounds of all around it. */
function behind(e) {
  var layers = [], back = matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255];
  for (; e; e = e.parentElement) {
    var style = getComputedStyle(e);
    if (style.backgroundImage !== 'none') wrong.push(name(e) + ': a background that is not a colour');
    if (+style.opacity !== 1) wrong.push(name(e) + ': half transparent');
    layers.push(colour(style.backgroundColor));
  }
  return layers.reverse().reduce(function (sum, layer) { return over(layer, sum); }, back);
}

function light(rgb) {
  var v = rgb.map(function (c) {
    c /= 255;
    return c <= 0.04045 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4);
  });
  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
}

function ratio(front, back) {
  var a = light(over(front, back)), b = light(back);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function check(e, text, least) {
  var back = behind(e), r = ratio(colour(text), back);
  if (r < least) wrong.push(name(e) + ': ' + text + ' on ' + back.map(Math.round) + ' has a contrast of ' + r.toFixed(2));
  return 1;
}

function visible(e) {
  return e.getClientRects().length > 0 && e.checkVisibility({ visibilityProperty: true });
}

function contrast() {
  var n = 0, walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    var e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !visible(e) || e.tagName === 'OPTION') continue;
    n += check(e, getComputedStyle(e)[e.namespaceURI.indexOf('svg') > 0 ? 'fill' : 'color'], 4.5);
  }
  document.querySelectorAll('input:not([type=hidden]), select, textarea').forEach(function (field) {
    if (!visible(field)) return;
    n += check(field, getComputedStyle(field).color, 4.5);
    if (field.placeholder) n += check(field, getComputedStyle(field, '::placeholder').color, 4.5);
  });
  document.querySelectorAll('td[data-l]').forEach(function (cell) {
    if (visible(cell)) n += check(cell, getComputedStyle(cell, '::before').color, 4.5);
  });
  document.querySelectorAll('figure path.line').forEach(function (line) {
    n += check(line, getComputedStyle(line).stroke, 3);
  });
  return n;
}

/* ---- width ---- */

/* Text that is cut off does not make a page wider, so each piece of it is looked at, but for what scrolls itself. */
function fits() {
  var range = document.createRange(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  if (document.documentElement.scrollWidth > width) wrong.push('the page is ' + document.documentElement.scrollWidth + ' wide');
  while (walk.nextNode()) {
    var e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !visible(e) || e.closest('pre, option, .sr, .skip, thead')) continue;
    range.selectNodeContents(walk.currentNode);
    var box = range.getBoundingClientRect();
    if (box.right > width + 1 || box.left < -1) wrong.push(name(e) + ': from ' + box.left + ' to ' + box.right);
  }
}

structure();
var texts = contrast();
fits();
return {
  wrong: wrong,
  texts: texts,
  title: document.title,
  background: getComputedStyle(document.body).backgroundColor,
  others: performance.getEntriesByType('resource').map(function (r) { return r.name; })
    .filter(function (url) { return url.indexOf(location.origin + '/') !== 0 && url.indexOf('data:') !== 0; })
};
