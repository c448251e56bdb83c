#pragma once

#include "figures.hpp"
#include "options.hpp"

#include <boost/json/object.hpp>

#include <string>

namespace trunkline::bench {

/// The cell that the report's top level is about: 10,000 clients on 50 connections if it was measured, else the first.
const cell_figures* main_cell(const bench_figures& measured);

/// The figures as a table for people.
std::string table_of(const bench_figures& measured, const bench_options& options);

/// The figures with the keys that programs read.
boost::json::object json_of(const bench_figures& measured, const bench_options& options);

}  // namespace trunkline::bench
