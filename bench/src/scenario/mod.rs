//! What is measured. Each scenario is a function that makes its figures.

mod bootstrap;
mod build;
mod churn;
mod fanout;
mod list;
pub(crate) mod propagation;
mod restart;
mod serve;
mod space;
mod store;
mod voters;

pub(crate) use list::Scenario;
