/* SPDX-License-Identifier: Apache-2.0 */
/* page_config: the configuration that runs, without secrets, for browsers; others get it as plain text. */
#include "page.h"

void page_config(struct buf *out, const struct web_view *view)
{
    page_begin(out, "Configuration", "/config");
    buf_add_c(out, "<p class=\"dim\">As it runs, with defaults filled in and secrets crossed out; loaded ");
    page_ago(out, view->now_ms, view->loaded_ms);
    buf_add_c(out, ".");
    if (view->loaded_ms && !view->reload_ok)
        buf_add_c(out, " <b>The last reload failed, so this is the one before it.</b>");
    buf_add_c(out, "</p>\n<pre tabindex=\"0\">");
    page_text(out, view->config && view->config->yaml ? view->config->yaml : "");
    buf_add_c(out, "</pre>\n");
    page_end(out, view);
}
