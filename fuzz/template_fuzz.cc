// Chat templates: parsed and rendered with a conversation, within small limits.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/json.h"
#include "jinja/chat_template.h"
#include "seeds.h"

namespace jinja = diptych::jinja;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parsed = jinja::ChatTemplate::parse({reinterpret_cast<const char*>(data), size});
  if (!parsed) return 0;
  jinja::Chat chat;
  chat.messages =
      diptych::Json::array({{{"role", "system"}, {"content", " be brief\n"}},
                            {{"role", "user"}, {"content", "h\xC3\xA9 \xF0\x9F\x91\x8D"}},
                            {{"role", "assistant"}, {"content", nullptr}}});
  chat.tools =
      diptych::Json::array({{{"type", "function"}, {"function", {{"name", "f"}, {"n", 2.5}}}}});
  chat.add_generation_prompt = true;
  chat.bos = "<s>";
  parsed->render(chat, {.steps = 20'000, .output_bytes = 1 << 20, .memory_bytes = 8 << 20});
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const std::string_view seed : {
           "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + (m.content or "
           "'') | trim "
           "}}{% if not loop.last %}\n{% endif %}{% else %}{% endfor %}",
           "{%- set ns = namespace(n=0) -%}{% for m in messages[::-1] if m.role != 'x' %}{% set "
           "ns.n = ns.n "
           "+ loop.index0 %}{% endfor %}{{ ns.n ~ [1, (2,), {'a': none}] }}",
           "{% macro f(a, b=1) %}{{ a|upper }}{{ caller() if caller }}{{ varargs }}{% endmacro "
           "%}{% call f(2) "
           "%}x{% endcall %}{{ f(*messages, **{'b': 2}) }}",
           "{{ tools | tojson(indent=2) }}{{ messages | selectattr('role', 'equalto', 'user') | "
           "map(attribute='content') | join(', ') }}{{ range(3) | sum }}",
           "{# c #}{% raw %}{{{% endraw %}{% filter indent(2) %}a\nb{% endfilter %}{% with x = 1 "
           "%}{% set y %}{{ "
           "x }}{% endset %}{{ y[0:2] }}{% endwith %}",
           "{{ 'a,b'.split(',')[0].strip('x') is string and 1 < 2 <= 3 or not 'a' in 'abc' }}{{ 7 "
           "// 2 ** 2 % 3 "
           "- -1.5e3 }}{{ strftime_now('%Y') }}",
           "{{ x.y.z }}{{ raise_exception('no') }}{% generation %}{% break %}{% endgeneration %}",
       }) {
    const auto bytes = diptych::as_bytes(seed);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
