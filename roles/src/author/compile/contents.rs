//! `content`, `from` and `template`: three ways to write one thing, a file's bytes.

use super::Unread;
use super::context::{Context, Read, Reported};
use super::scope::RoleScope;
use super::walk::Found;
use crate::author::diagnostic::{Fault, nearest};
use crate::author::kinds::{Becomes, Built, Placed, ScalarType, Shape, SiteFiles, Values, Ways, Written};
use crate::author::source::{Node, Span, Tree};
use crate::author::template::{self, Template};
use crate::author::value::{Data, as_text};
use crate::words::Content;
use std::sync::Arc;

impl<'a> Context<'a> {
    /// Turns whichever way was written into content.
    pub(super) fn contents(&self, values: &mut Values, ways: &Ways, scope: &RoleScope<'_, 'a>) -> Read<()> {
        let written: Vec<&str> =
            [ways.inline, ways.from, ways.template].into_iter().filter(|name| values.fields.contains_key(name)).collect();
        let [name] = written[..] else {
            // One or none was written; a field given none leaves the file without content.
            return Ok(());
        };
        let Some(placed) = values.fields.remove(name) else { return Ok(()) };
        let Written::Value(value) = &placed.written else { return Err(Reported) };
        self.reads(&value.all_marks());
        let content = if name == ways.inline {
            self.content(&as_text(&value.data).unwrap_or_default(), &value.all_marks())
        } else {
            let Data::SitePath(tree, path) = &value.data else { return Err(Reported) };
            if name == ways.from { self.file(*tree, path, &placed.span)? } else { self.render(*tree, path, &placed.span, scope)? }
        };
        values.fields.insert(ways.becomes, Placed { written: Written::Content(content), span: placed.span });
        Ok(())
    }

    /// The entry of a tree's file, or the fault that names the nearest.
    fn entry(&self, tree: Tree, path: &str, below: &str, span: &Span) -> Built<&'a super::SiteEntry> {
        let of = match tree {
            Tree::Site => "the site",
            Tree::Library => "the library",
        };
        if !path.starts_with(below) {
            let fault = Fault::new(span, format!("`{path}` does not stand below `{below}`"));
            return Err(Box::new(fault.hint(format!("write `{below}{path}`"))));
        }
        self.input.content.get(tree, path).ok_or_else(|| {
            let mut fault = Fault::new(span, format!("{of} has no `{path}`"));
            fault.nearest = nearest(path, self.input.content.paths(tree)).map(str::to_owned);
            Box::new(fault)
        })
    }

    /// The text of a tree's file, or the fault that shows why it has none.
    fn text_of(&self, tree: Tree, path: &str, below: &str, span: &Span) -> Built<&'a str> {
        self.entry(tree, path, below, span)?.text.as_deref().map_err(|unread| {
            Box::new(match unread {
                Unread::Large(length, limit) => {
                    Fault::new(span, format!("`{path}` has {length} bytes")).expected(format!("at most {limit} bytes"))
                }
                Unread::NotUtf8(fault) => (**fault).clone().also(span, "its text is wanted here"),
                Unread::Fault(fault) => (**fault).clone(),
            })
        })
    }

    /// A tree's template, or the fault that shows why there is none.
    fn template_of(&self, tree: Tree, path: &str, span: &Span) -> Built<Arc<Template>> {
        self.text_of(tree, path, "templates/", span)?;
        self.input.content.template(tree, path).ok_or_else(|| Box::new(Fault::new(span, format!("`{path}` has no text"))))
    }

    /// Judges the files that a step names which a `when` leaves out: what is wrong with them whatever its values are.
    pub(super) fn files_of(&self, found: &Found<'_, '_, 'a>) {
        let Becomes::Resource(spec) = &found.body.kind.becomes else { return };
        for field in &found.body.fields.list {
            let is_template = spec.ways.iter().any(|ways| ways.template == field.spec.name);
            self.named_files(&field.value, &field.spec.shape, is_template, found.scope);
        }
    }

    fn named_files(&self, node: &Node, shape: &Shape, is_template: bool, scope: &RoleScope<'_, 'a>) {
        if let (Shape::Record(fields), Some(entries)) = (shape, node.as_map()) {
            for entry in entries {
                if let Some(field) = fields.iter().find(|field| field.name == entry.key.value) {
                    self.named_files(&entry.value, &field.shape, false, scope);
                }
            }
        }
        let (Some(scalar), Shape::Scalar(ScalarType::SitePath)) = (node.as_scalar().filter(|scalar| !scalar.has_expression()), shape)
        else {
            return;
        };
        let (tree, path, span) = (node.span.source().tree(), scalar.text.as_str(), &node.span);
        if !is_template {
            let _told = self.entry(tree, path, "files/", span).map_err(|fault| self.fault(*fault));
            return;
        }
        let load = |path: &str, span: &Span| self.template_of(tree, path, span);
        match load(path, span) {
            Ok(template) => {
                for fault in template::judge(path, &template, &load, scope) {
                    self.fault(fault.also(span, "named here"));
                }
            }
            Err(fault) => _ = self.fault(*fault),
        }
    }

    /// A file taken byte by byte.
    fn file(&self, tree: Tree, path: &str, span: &Span) -> Read<Content> {
        let entry = self.entry(tree, path, "files/", span).map_err(|fault| self.fault(*fault))?;
        self.stores.borrow_mut().files.insert(entry.blob.digest, (tree, path.to_owned()));
        Ok(Content::Blob(entry.blob))
    }

    /// A template, rendered in the role's scope.
    fn render(&self, tree: Tree, path: &str, span: &Span, scope: &RoleScope<'_, 'a>) -> Read<Content> {
        let load = |path: &str, span: &Span| self.template_of(tree, path, span);
        let template = load(path, span).map_err(|fault| self.fault(*fault))?;
        match template::render(path, &template, &load, scope) {
            Ok(rendered) => {
                rendered.secrets.iter().for_each(|(text, marks)| self.masks(text, marks));
                self.hold(rendered.text.len(), span)?;
                self.reads(&rendered.marks);
                Ok(self.content(&rendered.text, &rendered.marks))
            }
            Err(template::Stop::Reported) => Err(Reported),
            Err(template::Stop::Missing(missing)) => Err(self.lacks(missing, span)),
            Err(template::Stop::Faults(faults)) => {
                for fault in faults {
                    self.fault(fault.also(span, "rendered for this"));
                }
                Err(Reported)
            }
        }
    }
}

impl SiteFiles for Context<'_> {
    fn projects(&self, tree: Tree, path: &str, span: &Span) -> Built<Option<&[String]>> {
        Ok(self.entry(tree, path, "files/", span)?.projects.as_deref())
    }
    fn text(&self, tree: Tree, path: &str, span: &Span) -> Built<&str> {
        self.text_of(tree, path, "files/", span)
    }
}
