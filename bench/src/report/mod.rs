//! Results for people: one line as it comes, a table at the end, a page to keep.

mod html;
mod line;
mod page;
mod plot;
mod rows;
mod table;
mod works;

pub(crate) use line::{number, one_line};
pub(crate) use page::page;
pub(crate) use table::table;
