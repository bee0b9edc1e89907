#include "measure/report.h"

#include <vector>

#include "measure/limits.h"

namespace diptych::measure {

namespace {

constexpr double kGiga = 1e9;

Json to_json(const Report& report, const Row& row) {
  Json json = {{"model", row.model},
               {"test", row.test.name()},
               {"threads", row.threads},
               {"numerics", engine::name(row.numerics)},
               {"median", nullptr},  // tokens per second, as the next three
               {"mean", nullptr},
               {"sd", nullptr},
               {"samples", row.samples},
               {"gb_per_s", nullptr},
               {"gop_per_s", nullptr},
               {"limit", nullptr},
               {"limit_is", row.test.is_decode() ? kMemoryReadLimit : kFmaLimit},
               {"pct_of_limit", nullptr},
               {"skipped", nullptr},
               {"load_seconds", row.start.load_seconds},
               {"first_token_seconds", row.start.first_token_seconds},
               {"peak_memory_bytes", row.start.peak_memory_bytes},
               {"machine", report.machine}};
  if (!row.skipped.empty()) json["skipped"] = row.skipped;
  if (row.samples.empty()) return json;
  const Statistics statistics = row.statistics();
  json["median"] = statistics.median;
  json["mean"] = statistics.mean;
  json["sd"] = statistics.sd;
  json[row.test.is_decode() ? "gb_per_s" : "gop_per_s"] = row.work_per_second() / kGiga;
  json["limit"] = row.limit / kGiga;
  json["pct_of_limit"] = row.percent_of_limit();
  return json;
}

std::string csv_cell(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_array()) {
    std::vector<std::string> elements;
    for (const Json& element : value) elements.push_back(dump_json(element));
    return fmt::format("{}", fmt::join(elements, " "));
  }
  if (!value.is_string()) return dump_json(value);
  const auto text = value.get<std::string>();
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted;
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return fmt::format("\"{}\"", quoted);
}

}  // namespace

Json to_json(const Report& report) {
  Json rows = Json::array();
  for (const Row& row : report.rows) rows.push_back(to_json(report, row));
  return rows;
}

std::string to_csv(const Report& report) {
  std::string out;
  for (const Row& row : report.rows) {
    const Json json = to_json(report, row);
    std::vector<std::string> keys, cells;
    for (const auto& [key, value] : json.items()) {
      keys.push_back(key);
      cells.push_back(csv_cell(value));
    }
    if (out.empty()) out = fmt::format("{}\n", fmt::join(keys, ","));
    out += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return out;
}

}  // namespace diptych::measure
