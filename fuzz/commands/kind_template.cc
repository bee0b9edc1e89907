// Chat templates: drawn from a grammar, and damaged.

#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"

namespace diptych::fuzz {

namespace {

constexpr std::string_view kAtoms[] = {
    "messages",
    "messages[0].content",
    "messages[-1]['role']",
    "bos_token",
    "eos_token",
    "tools",
    "add_generation_prompt",
    "none",
    "true",
    "nothing",
    "''",
    "'a b c'",
    "'\\x1b[31m'",
    "0",
    "1",
    "-1",
    "3.5",
    "9223372036854775807",
    "9223372036854775808",
    "1e308",
    "[]",
    "{}",
    "[1, 2, 3]",
    "{'a': 1, 'b': [2]}",
    "(1, 'a')",
    "range(5)",
    "range(100000000)",
    "namespace(a=1)",
    "x",
    "y",
    "loop.index",
    "loop",
    "'ab' * 100000",
    "[0] * 1000000",
    "'x' * 1000000000",
    "range(3000)|list",
    "'é😀'",
    "dict(a=1)",
    "raise_exception('no\\nline \\x1b[2J')",
    "strftime_now('%Y %Q %')",
};
constexpr std::string_view kFilters[] = {
    "abs",
    "attr('a')",
    "capitalize",
    "count",
    "default('d', true)",
    "dictsort",
    "first",
    "float",
    "indent(4, true)",
    "int",
    "items",
    "join(', ')",
    "last",
    "length",
    "list",
    "lower",
    "map('upper')",
    "map(attribute='role')",
    "max",
    "min",
    "reject('none')",
    "rejectattr('a')",
    "replace('', 'xy')",
    "replace('a', 'aaaa')",
    "reverse",
    "round(2)",
    "safe",
    "select",
    "selectattr('role', 'equalto', 'user')",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "tojson(indent=1000000)",
    "trim",
    "unique",
    "upper",
    "wordcount",
    "urlencode",
    "indent(100000000)",
};
constexpr std::string_view kTests[] = {
    "boolean",  "callable", "defined",   "divisibleby(0)", "eq(1)",  "even", "in([1])",
    "iterable", "lower",    "mapping",   "none",           "number", "odd",  "sameas(none)",
    "sequence", "string",   "undefined", "upper",          "nosuch",
};
constexpr std::string_view kMethods[] = {
    "strip()",
    "split()",
    "split('')",
    "splitlines()",
    "upper()",
    "startswith('a')",
    "replace('a', 'bb')",
    "replace('', 'bb')",
    "find('a')",
    "count('')",
    "join(['a', 'b'])",
    "get('a')",
    "items()",
    "keys()",
    "index(1)",
    "__class__",
    "format(1)",
    "append(1)",
    "rsplit('a', 1000000000)",
    "title()",
    "nosuch()",
};
constexpr std::string_view kOperators[] = {
    " + ",  " - ",  " * ", " / ",  " // ", " % ",      " ** ",  " ~ ",
    " == ", " != ", " < ", " >= ", " in ", " not in ", " and ", " or "};

// Values whose every element takes time to look at.
constexpr std::string_view kLarge[] = {
    "'a ' * 500000",   "'a' * 1000000",         "'\xc3\xa9' * 500000", "' ' * 1000000",
    "[1] * 100000",    "range(100000)|list",    "[[1, 2]] * 100000",   "(['ab'] * 100000)",
    "'a\\n' * 500000", "dict(a='x' * 1000000)", "messages * 100000",
};

class Grammar {
 public:
  explicit Grammar(Random& random) : random_(random) {}

  std::string statements() {
    std::string text;
    const size_t count = 1 + random_.below(4);
    for (size_t i = 0; i < count; ++i) text += statement();
    return text;
  }

 private:
  static constexpr int kDeepest = 4;

  std::string expression(int depth = 0) {
    if (depth >= kDeepest || random_.one_in(3)) return std::string(random_.pick(kAtoms));
    const std::string left = expression(depth + 1);
    switch (random_.below(9)) {
      case 0:
        return "(" + left + ")|" + std::string(random_.pick(kFilters));
      case 1:
        return "(" + left + ") is " + std::string(random_.pick(kTests));
      case 2:
        return "(" + left + ")." + std::string(random_.pick(kMethods));
      case 3:
        return "(" + left + ")[" + expression(depth + 1) + "]";
      case 4:
        return "(" + left + ")[" + expression(depth + 1) + "::" + "-1]";
      case 5:
        return "(" + left + " if " + expression(depth + 1) + ")";
      case 6:
        return "[" + left + ", " + expression(depth + 1) + "]";
      case 7:
        return "not (" + left + ")";
      default:
        return "(" + left + ")" + std::string(random_.pick(kOperators)) + "(" +
               expression(depth + 1) + ")";
    }
  }

  // One operation on a large value, again and again.
  std::string work() {
    const std::string large(random_.pick(kLarge));
    const auto drawn = [&](const auto& list) { return std::string(random_.pick(list)); };
    std::string operation;
    switch (random_.below(4)) {
      case 0:
        operation = "big|" + drawn(kFilters);
        break;
      case 1:
        operation = "big is " + drawn(kTests);
        break;
      case 2:
        operation = "big." + drawn(kMethods);
        break;
      default:
        operation =
            "big" + drawn(kOperators) + (random_.one_in(2) ? "other" : expression(kDeepest - 1));
    }
    return "{% set big = " + large + " %}{% set other = " + large +
           " %}{% for y in range(1000000) %}{% if " + operation + " %}{% endif %}{% endfor %}";
  }

  std::string statement(int depth = 0) {
    if (depth == 0 && random_.one_in(8)) return work();
    const std::string body = depth < kDeepest ? statement(depth + 1) : "a";
    switch (random_.below(depth < kDeepest ? 11 : 3)) {
      case 0:
        return "{{ " + expression() + " }}";
      case 1:
        return "{%- set x = " + expression() + " -%}";
      case 2:
        return "text \n";
      case 3:
        return "{% if " + expression() + " %}" + body + "{% else %}" + statement(depth + 1) +
               "{% endif %}";
      case 4:
      case 5:
        return "{% for y in " + expression() + " %}" + body + "{% endfor %}";
      case 6:
        return "{% macro f(x, y=1) %}" + body + "{% endmacro %}{{ f(" + expression() + ") }}";
      case 7:
        return "{% set ns = namespace(a=1) %}{% set ns.a = " + expression() + " %}{{ ns.a }}";
      case 8:
        return "{% filter " + std::string(random_.pick(kFilters)) + " %}" + body +
               "{% endfilter %}";
      case 9:
        return "{% macro g(x) %}" + body + "{{ g(x) }}{% endmacro %}{{ g(1) }}";
      default:
        return "{% set b %}" + body + "{% endset %}{{ b }}";
    }
  }

  Random& random_;
};

constexpr std::string_view kTokens[] = {"{{",  "}}",  "{%",    "%}",          "{#",
                                        "#}",  "-%}", "{%-",   "|",           "is",
                                        "for", "in",  "endif", "endfor",      "else",
                                        "(",   ")",   "[",     "]",           "'",
                                        "\"",  "\\",  "\n",    "{% raw %}",   "**",
                                        ",",   ":",   "=",     "{% break %}", "{% include 'x' %}"};

class TemplateKind : public Kind {
 public:
  explicit TemplateKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "template"; }

  Files seed(Random& random) const override {
    Files files = {{"t.jinja",
                    "{% for m in messages %}[{{ m.role }}]{{ m.content|trim }}"
                    "{% endfor %}{% if add_generation_prompt %}[a]{% endif %}"}};
    if (random.one_in(6)) {
      for (const auto& [name, bytes] : models_.hugging_face) files["m/" + name] = bytes;
      files["m/tokenizer.json"] = models_.byte_level;
      files["m/chat_template.jinja"] = files["t.jinja"];
    }
    files["m.pte"] = models_.multi;
    return files;
  }

  void mutate(Files& files, Random& random) const override {
    std::string& text = files["t.jinja"];
    const size_t at = random.below(text.size() + 1);
    switch (random.below(8)) {
      case 0:
        mutate_bytes(text, random);
        break;
      case 1:
        text.insert(at, random.pick(kTokens));
        break;
      case 2:
        text.insert(at, hostile_text(random));
        break;
      case 3: {  // very many of one piece
        const std::string piece(random.pick(kTokens));
        const size_t count = random.one_in(6) ? 100000 : 100;
        for (size_t i = 0; i < count; ++i) text += piece;
        break;
      }
      case 4:
        text += "{{ " + hostile_text(random) + " }}";
        break;
      default:
        text =
            random.one_in(4) ? text + Grammar(random).statements() : Grammar(random).statements();
    }
    if (files.contains("m/chat_template.jinja")) files["m/chat_template.jinja"] = text;
  }

  Command command(const Files& files, Random& random) const override {
    if (files.contains("m/config.json") && random.one_in(2)) return export_command("m", random);
    if (random.one_in(8)) {
      Command command;
      command.words = {"metadata", "set", "m.pte", "--chat_template", "t.jinja", "-o", "n.pte"};
      command.outputs = {"n.pte"};
      return command;
    }
    Command command = chat_command("m.pte", "hello\nabc\n", random);
    command.words.insert(command.words.end(), {"--chat_template", "t.jinja"});
    return command;
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> template_kind(const Models& models) {
  return std::make_unique<TemplateKind>(models);
}

}  // namespace diptych::fuzz
