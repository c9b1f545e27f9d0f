// Package csvfile reads and writes CSV and TSV files without changing what is in them.
//
// It differs from encoding/csv, on purpose, in these points:
//   - CR LF inside quotes stays CR LF.
//   - An empty line is a record of one empty field in a table of one column; in wider
//     tables it is skipped and counted.
//   - A quoted empty field ("" in the file) is told apart from an unquoted one.
//   - Quotes inside an unquoted field are text, and a quote inside a quoted field closes it
//     only before a delimiter or a line end; stray quotes are counted and named by line.
//   - NUL and invalid UTF-8 become U+FFFD and are counted and named by line, since Postgres
//     stores neither.
//   - A byte order mark is not part of the first field.
//   - Encodings other than UTF-8 are read, and lines may end in a lone CR.
//
// Memory is bounded by the longest record (MaxRecord), never by the file.
package csvfile
