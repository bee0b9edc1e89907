#include "report/document.h"

#include <fmt/format.h>

#include "report/svg.h"

namespace diptych::report {

namespace {

// Eight colours that differ for most eyes, on light and on dark.
constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark}
body{margin:0 auto;max-width:62rem;padding:1.5rem;background:#fff;color:#1b1f24;font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.4rem}h2{font-size:1.15rem;border-bottom:1px solid #d5dae0;margin-top:2.2rem}
h3{font-size:1rem}figure{margin:1rem 0}figcaption{font-weight:600;margin-bottom:.4rem}
svg{width:100%;height:auto;display:block}svg text{font:12px system-ui,sans-serif;fill:currentColor}
svg rect{stroke:#fff;stroke-width:1}.line{fill:none;stroke:currentColor;stroke-width:1.5}
.c0{fill:#77aadd;background:#77aadd}.c1{fill:#ee8866;background:#ee8866}.c2{fill:#44bb99;background:#44bb99}
.c3{fill:#eedd88;background:#eedd88}.c4{fill:#ffaabb;background:#ffaabb}.c5{fill:#99ddff;background:#99ddff}
.c6{fill:#bbcc33;background:#bbcc33}.c7{fill:#dddddd;background:#dddddd}
.legend span{margin-right:1rem;white-space:nowrap}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13px;margin:.5rem 0;overflow-wrap:normal}
th,td{text-align:left;padding:.2rem .7rem .2rem 0;border-bottom:1px solid #d5dae0;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
@media screen and (prefers-color-scheme:dark){body{background:#14171a;color:#e6e9ec}
h2,th,td{border-color:#3a4048}svg rect{stroke:#14171a}
.c0{fill:#3f6f9f;background:#3f6f9f}.c1{fill:#b85c3c;background:#b85c3c}.c2{fill:#2f8a71;background:#2f8a71}
.c3{fill:#8f8140;background:#8f8140}.c4{fill:#a8606f;background:#a8606f}.c5{fill:#4a8cab;background:#4a8cab}
.c6{fill:#7a8726;background:#7a8726}.c7{fill:#6b7178;background:#6b7178}}
@media print{body{max-width:none;padding:0}figure,table{break-inside:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
)";

}  // namespace

Document::Document(std::string_view title, std::string_view below)
    : text_(fmt::format("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                        "<meta name=\"viewport\" content=\"width=device-width\">"
                        "<link rel=\"icon\" href=\"data:,\"><title>{0}</title>"
                        "<style>{1}</style></head><body><main>\n"
                        "<h1>{0}</h1>\n<p>{2}</p>\n",
                        escaped(title), kStyle, escaped(below))) {}

void Document::section(std::string_view title, const std::string& body) {
  if (body.empty()) return;
  text_ += fmt::format("<section><h2>{}</h2>\n{}</section>\n", escaped(title), body);
}

std::string Document::html() const { return text_ + "</main></body></html>\n"; }

}  // namespace diptych::report
