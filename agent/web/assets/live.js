/* SPDX-License-Identifier: Apache-2.0 */
/* live: draws the plots of a page and keeps its numbers fresh. The page is whole without it. */
(function () {
'use strict';
var SVG = 'http://www.w3.org/2000/svg';
var SPAN_MIN = 5 * 60000, SPAN_MAX = 30 * 60000, LEFT = 52, RIGHT = 4, TOP = 8, BOTTOM = 16;
var plots = document.querySelector('[data-plots]');
var data = null, every = 5000, paused = false, timer = 0, failedSince = 0;

function make(name, attributes, parent) {
  var e = document.createElementNS(SVG, name);
  for (var key in attributes) e.setAttribute(key, attributes[key]);
  if (parent) parent.appendChild(e);
  return e;
}

function html(name, className, text, parent) {
  var e = document.createElement(name);
  if (className) e.className = className;
  if (text) e.textContent = text;
  if (parent) parent.appendChild(e);
  return e;
}

/* ---- numbers ---- */

function fixed(v) {
  return v >= 100 || v === Math.round(v) ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2);
}

function scaled(v, base, units) {
  var i = 0;
  while (v >= base && i < units.length - 1) {
    v /= base;
    i++;
  }
  return fixed(v) + units[i];
}

var WRITE = {
  count: function (v) { return scaled(v, 1000, ['', 'k', 'M', 'G']); },
  bytes: function (v) { return scaled(v, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']); },
  percent: function (v) { return fixed(v) + ' %'; },
  seconds: function (v) {
    return v < 120 ? fixed(v) + ' s' : v < 7200 ? fixed(v / 60) + ' min' : v < 172800 ? fixed(v / 3600) + ' h' :
           fixed(v / 86400) + ' d';
  }
};

/* The next of 1, 2, 5, 10 ... times a power; of bytes a power of two. */
function ceiling(v, unit) {
  if (v <= 0) return 1;
  if (unit === 'bytes') return Math.pow(2, Math.ceil(Math.log2(v)));
  var power = Math.pow(10, Math.floor(Math.log10(v)));
  return (v <= power ? 1 : v <= 2 * power ? 2 : v <= 5 * power ? 5 : 10) * power;
}

/* ---- a plot ---- */

function Plot(figure) {
  var self = this;
  this.unit = figure.dataset.unit;
  this.name = figure.querySelector('figcaption').textContent;
  this.lines = figure.dataset.lines.split(' ').map(function (text) {
    var part = text.split(':');
    return { key: part[0], name: part[1].replace(/_/g, ' '), css: part[2] };
  });
  this.key = html('ul', 'key', '', figure);
  this.lines.forEach(function (line) {
    var item = html('li', '', '', self.key);
    make('path', { 'class': 'line ' + line.css, d: 'M0 4H14' }, make('svg', { 'aria-hidden': 'true' }, item));
    item.appendChild(document.createTextNode(line.name + ' '));
    line.value = html('b', '', '', item);
  });
  this.svg = make('svg', { role: 'img', 'aria-label': this.name }, figure);
  this.at = null;
  this.svg.addEventListener('pointermove', function (event) {
    self.at = event.clientX - self.svg.getBoundingClientRect().left;
    self.draw();
  });
  this.svg.addEventListener('pointerleave', function () {
    self.at = null;
    self.draw();
  });
}

Plot.prototype.path = function (values, x, y) {
  var d = '', pen = 'M';
  for (var i = 0; i < values.length; i++) {
    if (values[i] === null || x[i] < LEFT) {
      pen = 'M';
      continue;
    }
    d += pen + x[i].toFixed(1) + ' ' + y(values[i]).toFixed(1);
    pen = 'L';
  }
  return d;
};

Plot.prototype.axes = function (width, height, top, span, y) {
  var write = WRITE[this.unit], svg = this.svg;
  [0, top / 2, top].forEach(function (v) {
    make('path', { 'class': 'grid', d: 'M' + LEFT + ' ' + y(v) + 'H' + (width - RIGHT) }, svg);
    make('text', { x: LEFT - 6, y: y(v) + 4, 'text-anchor': 'end' }, svg).textContent = write(v);
  });
  make('text', { x: LEFT, y: height - 2 }, svg).textContent = Math.round(span / 60000) + ' min ago';
  make('text', { x: width - RIGHT, y: height - 2, 'text-anchor': 'end' }, svg).textContent =
    this.shownAt ? new Date(this.shownAt).toLocaleTimeString() : 'now';
};

/* Which point the legend tells of: the one under the pointer, else the last. */
Plot.prototype.choose = function (x) {
  var best = x.length - 1;
  if (this.at === null) return best;
  for (var i = 0; i < x.length; i++)
    if (Math.abs(x[i] - this.at) < Math.abs(x[best] - this.at)) best = i;
  return best;
};

Plot.prototype.draw = function () {
  var width = this.svg.clientWidth, height = this.svg.clientHeight, unit = this.unit, svg = this.svg;
  if (!data || !data.time.length || !width) return;
  var time = data.time, last = time[time.length - 1];
  var span = Math.min(SPAN_MAX, Math.max(SPAN_MIN, last - time[0]));
  var x = time.map(function (t) { return width - RIGHT - (last - t) / span * (width - LEFT - RIGHT); });
  var most = 0;
  this.lines.forEach(function (line) {
    data[line.key].forEach(function (v, i) { if (v !== null && x[i] >= LEFT) most = Math.max(most, v); });
  });
  var top = ceiling(most, unit);
  var y = function (v) { return TOP + (1 - v / top) * (height - TOP - BOTTOM); };
  var at = this.choose(x), said = [];
  this.shownAt = this.at === null ? 0 : time[at];
  svg.setAttribute('viewBox', '0 0 ' + width + ' ' + height);
  svg.textContent = '';
  this.axes(width, height, top, span, y);
  this.lines.forEach(function (line, number) {
    var values = data[line.key], d = this.path(values, x, y), v = values[at];
    if (number === 0 && d.indexOf('L') > 0 && d.lastIndexOf('M') === 0)
      make('path', { 'class': 'area', d: d + 'V' + y(0) + 'H' + d.slice(1).split(' ')[0] + 'Z' }, svg);
    make('path', { 'class': 'line ' + line.css, d: d }, svg);
    line.value.textContent = v === null ? '–' : WRITE[unit](v);
    said.push(line.name + ' ' + line.value.textContent);
  }, this);
  if (this.at !== null)
    make('path', { 'class': 'at', d: 'M' + x[at].toFixed(1) + ' ' + TOP + 'V' + (height - BOTTOM) }, svg);
  svg.setAttribute('aria-label', this.name + ': ' + said.join(', ') + '; highest ' + WRITE[unit](most));
};

/* ---- fresh numbers ---- */

function take(answer) {
  var got = answer.data;
  if (data && got.next < data.next) { /* the agent has started anew */
    data = null;
    return fetchHistory();
  }
  every = got.interval_seconds * 1000;
  for (var key in got) {
    if (!Array.isArray(got[key])) continue;
    got[key] = (data ? data[key].concat(got[key]) : got[key]).slice(-361);
  }
  data = got;
  return null;
}

function ask(url, accept) {
  return fetch(url, { headers: { Accept: accept }, credentials: 'same-origin' }).then(function (answer) {
    if (!answer.ok) throw new Error('HTTP ' + answer.status);
    return answer;
  });
}

function fetchHistory() {
  return ask('/api/v1/status/history?from=' + (data ? data.next : 0), 'application/json')
    .then(function (answer) { return answer.json(); }).then(take);
}

function fetchNumbers() {
  return ask(location.href, 'text/html').then(function (answer) { return answer.text(); }).then(function (text) {
    var page = new DOMParser().parseFromString(text, 'text/html');
    document.querySelectorAll('[data-live]').forEach(function (old) {
      var fresh = page.getElementById(old.id), focus = old.contains(document.activeElement);
      if (fresh && !focus && fresh.innerHTML !== old.innerHTML) old.replaceChildren.apply(old, fresh.childNodes);
    });
  });
}

function tell(text) {
  var place = document.getElementById('live-state');
  if (place && place.textContent !== text) place.textContent = text;
  if (place) place.hidden = !text;
}

function drawAll() {
  all.forEach(function (plot) { plot.draw(); });
}

function refresh() {
  clearTimeout(timer);
  if (paused || document.hidden) return;
  Promise.all([all.length ? fetchHistory() : null, fetchNumbers()]).then(function () {
    failedSince = 0;
    tell('');
    drawAll();
  }).catch(function (why) {
    failedSince = failedSince || Date.now();
    tell('The agent has not answered since ' + new Date(failedSince).toLocaleTimeString() + ' (' + why.message +
         '): what is shown is old.');
  }).finally(function () { timer = setTimeout(refresh, every); });
}

function addPause(place) {
  var button = html('button', 'plain', 'Pause', place);
  button.type = 'button';
  button.addEventListener('click', function () {
    paused = !paused;
    button.textContent = paused ? 'Go on' : 'Pause';
    refresh();
  });
}

var all = [];
if (plots) {
  plots.hidden = false;
  all = Array.prototype.map.call(plots.querySelectorAll('figure'), function (figure) { return new Plot(figure); });
  window.addEventListener('resize', drawAll);
}
var bar = document.getElementById('live-bar');
if (bar) addPause(bar);
if (document.querySelector('[data-live]')) {
  document.addEventListener('visibilitychange', refresh);
  if (all.length) fetchHistory().then(drawAll, refresh);
  timer = setTimeout(refresh, every);
}
})();
